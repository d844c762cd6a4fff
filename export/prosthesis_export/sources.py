"""What can be exported: a shipped model, a bundle's folder, or a training run's folder, which its exporter bundles."""

from __future__ import annotations

from pathlib import Path

from prosthesis.bundles.bundle import MANIFEST, Bundle, bundle_names, load_bundle
from prosthesis.errors import ConfigError

RUN = "checkpoint.pt"


def open_source(model: str | Path, scratch: Path) -> Bundle:
    """Return the float32 bundle that ``model`` names; a run's is built in ``scratch`` first.

    Raises ``ConfigError`` when there is no such model, when it is a delivery already, or no exporter knows the run.
    """
    folder = Path(model)
    if (folder / MANIFEST).is_file():
        bundle = load_bundle(folder)
    elif (folder / RUN).is_file():
        bundle = load_bundle(_bundled(folder, scratch))
    elif str(model) in bundle_names():
        bundle = load_bundle(str(model))
    else:
        raise ConfigError(
            f"no model '{model}'; give a shipped one ({', '.join(bundle_names())}), a bundle's folder "
            f"(with {MANIFEST}) or a training run's (with {RUN})"
        )
    if bundle.manifest.delivery is not None:
        raise ConfigError(f"{bundle.folder}: made by 'prosthesis export' already; export what it was made of")
    return bundle


def _bundled(run: Path, scratch: Path) -> Path:
    """Build a run's bundle by the exporter of its method."""
    from prosthesis_train.training import checkpoint

    keys = checkpoint.load(run / RUN).keys()
    if "mean_e" in keys:  # averaged encoder of a bidirectional generator
        from prosthesis_export import generators, latents
        from prosthesis_train.artefacts import load_artefact

        artefact = scratch / run.name
        generators.export(run, artefact)
        return latents.build_latent(load_artefact(artefact), scratch / "bundle")
    if "mean_mapper" in keys:
        from prosthesis_export import taskmaps

        return taskmaps.build_bundle(run, scratch / "bundle")
    if "mean_net" in keys:
        from prosthesis_export import animation

        return animation.build(run, scratch / "bundle")
    raise ConfigError(
        f"{run}: no exporter for this run; there are those of 'train encoder', 'train bigbigan' and 'train animation'"
    )
