"""DAE-KAN: the denoising autoencoder that is trained and watched."""

from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor, nn

from shared.errors import ConfigurationError
from trainer.model.bam import BAM
from trainer.model.eca import ECA
from trainer.model.kan import KANConv2d

ModelSize = Literal["full", "small"]
DOWNSAMPLING: Final = 8


@dataclass(frozen=True)
class Widths:
    """Channel counts: of the encoder's steps from the widest on, and of the latent."""

    wide: int
    middle: int
    narrow: int
    latent: int


WIDTHS: Final[dict[ModelSize, Widths]] = {
    "full": Widths(wide=384, middle=128, narrow=64, latent=16),
    "small": Widths(wide=48, middle=16, narrow=8, latent=2),
}


class DAEKAN(nn.Module):
    """Denoising autoencoder with KAN convolutions, BAM and ECA.

    Parameters
    ----------
    size : {"full", "small"}
        ``small`` has an eighth of the channels, for CPUs; its layers are named by their
        own channel counts (``bam_48``, ``bam_2``).

    Attributes
    ----------
    attention_layers : dict of str to str
        Name of each BAM to its path in the module; the first is at H/4, the second at H/8.
    activation_layers : dict of str to str
        Name of each KAN layer inside encoder and decoder to its path.
    """

    def __init__(self, size: ModelSize = "full") -> None:
        super().__init__()
        widths = WIDTHS[size]
        self.size: ModelSize = size
        self.encoder = Encoder(widths)
        self.bottleneck = Bottleneck(widths)
        self.decoder = Decoder(widths)
        self.attention_layers = {
            f"bam_{widths.wide}": "bottleneck.attn1",
            f"bam_{widths.latent}": "bottleneck.attn2",
        }
        self.activation_layers = {"encoder_kan": "encoder.kan", "decoder_kan": "decoder.kan"}

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode and decode tiles.

        Parameters
        ----------
        x : Tensor of shape (N, 3, H, W), float, about [0, 1]
            Tiles, H and W multiples of 8.

        Returns
        -------
        encoded : Tensor of shape (N, 384, H/2, W/2)
        decoded : Tensor of shape (N, 3, H, W), in (0, 1)
        z : Tensor of shape (N, 16, H/8, W/8)
            The latent.

        Raises
        ------
        ConfigurationError
            If H or W is not a multiple of 8.
        """
        check_size(x.shape[-2], x.shape[-1])
        encoded = self.encoder(x)
        wide, z = self.bottleneck(encoded)
        return encoded, self.decoder(z, wide, encoded), z


def check_size(height: int, width: int) -> None:
    """Raise `ConfigurationError` unless tiles of this size fit the model's three halvings."""
    if height % DOWNSAMPLING or width % DOWNSAMPLING:
        raise ConfigurationError(
            f"tiles of {height}x{width} do not fit DAE-KAN: both sides must be multiples of "
            f"{DOWNSAMPLING}"
        )


class Encoder(nn.Module):
    """Tiles (N, 3, H, W) to features (N, wide, H/2, W/2), seen down to H/8."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.down1 = _down(3, widths.wide)
        self.down2 = _down(widths.wide, widths.middle)
        self.down3 = _down(widths.middle, widths.narrow)
        self.kan = KANConv2d(widths.narrow, widths.narrow)
        self.eca = ECA(widths.narrow)
        self.up1 = _up(widths.narrow, widths.middle)
        self.up2 = _up(widths.middle, widths.wide)

    def forward(self, x: Tensor) -> Tensor:
        """Float tensor (N, 3, H, W) to (N, wide, H/2, W/2)."""
        half: Tensor = self.down1(x)
        quarter: Tensor = self.down2(half)
        eighth = self.eca(self.kan(self.down3(quarter)))
        encoded: Tensor = half + self.up2(quarter + self.up1(eighth))
        return encoded


class Bottleneck(nn.Module):
    """Encoded features to the gated features at H/4 and the latent at H/8."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.down1 = _down(widths.wide, widths.wide)
        self.attn1 = BAM(widths.wide)
        self.down2 = _down(widths.wide, widths.latent)
        self.attn2 = BAM(widths.latent)

    def forward(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Float tensor (N, wide, H/2, W/2) to (N, wide, H/4, W/4) and (N, latent, H/8, W/8)."""
        wide = self.attn1(self.down1(encoded))
        return wide, self.attn2(self.down2(wide))


class Decoder(nn.Module):
    """Latent and residuals to tiles in (0, 1)."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.widen = nn.Sequential(
            nn.Conv2d(widths.latent, widths.wide, 1, bias=False),
            nn.BatchNorm2d(widths.wide),
            nn.ELU(),
        )
        self.kan = KANConv2d(widths.wide, widths.wide)
        self.eca = ECA(widths.wide)
        self.up1 = _up(widths.wide, widths.wide)
        self.up2 = _up(widths.wide, widths.wide)
        self.to_full = nn.Sequential(
            nn.ConvTranspose2d(widths.wide, widths.narrow, 4, stride=2, padding=1),
            nn.ELU(),
            nn.Conv2d(widths.narrow, 3, 3, padding=1),
        )
        self.refine = KANConv2d(3, 3)
        self.refine.start_as_identity()

    def forward(self, z: Tensor, wide: Tensor, encoded: Tensor) -> Tensor:
        """Latent (N, latent, H/8, W/8) and both residuals to (N, 3, H, W)."""
        eighth = self.eca(self.kan(self.widen(z)))
        quarter = wide + self.up1(eighth)
        half = encoded + self.up2(quarter)
        return torch.sigmoid(self.refine(self.to_full(half)))


def _down(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ELU(),
    )


def _up(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ELU(),
    )
