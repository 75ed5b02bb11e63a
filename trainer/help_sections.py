"""Plain ``--help`` whose options stand in sections."""

from typing import Any

from typer.core import TyperCommand


class SectionedCommand(TyperCommand):
    """Writes each option under its `rich_help_panel`, without drawing panels."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one list of options a section, in the order of their first options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                name = getattr(param, "rich_help_panel", None) or "Options"
                sections.setdefault(name, []).append(record)
        for name, records in sections.items():
            with formatter.section(name):
                formatter.write_dl(records)
