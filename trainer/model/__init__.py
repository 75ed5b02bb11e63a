"""DAE-KAN, a denoising autoencoder with attention gates and KAN convolutions, and its parts."""

from trainer.model.bam import BAM
from trainer.model.dae_kan import DAEKAN, ModelSize
from trainer.model.eca import ECA
from trainer.model.kan import KANConv2d

__all__ = ["BAM", "DAEKAN", "ECA", "KANConv2d", "ModelSize"]
