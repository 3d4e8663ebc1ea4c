"""What `hnca export` does."""

from rich.console import Console

from hnca.experiments.settings import ExportSettings, SettingsError
from hnca.experiments.trained.exporting import export


def export_run(settings: ExportSettings, console: Console) -> None:
    """Writes the file and says where.

    Raises:
        SettingsError: if there is nothing to export, or the file cannot be written.
    """
    path = settings.run / f"model-{settings.seed}.safetensors" if settings.out is None else settings.out
    if path.is_dir():
        raise SettingsError(f"--out {path}: is a directory; expected a file")
    try:
        epoch = export(settings.run, settings.seed, path)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    except OSError as error:
        raise SettingsError(f"{error.filename or path}: {error.strerror or error}") from None
    console.print(f"{path}: seed {settings.seed} after epoch {epoch}", soft_wrap=True, highlight=False)
