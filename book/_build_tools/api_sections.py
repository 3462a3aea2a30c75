"""The sections of the API reference, in the order in which a reader meets them."""

SECTIONS = {
    "The model": (
        "model", "conditionals", "drelu", "partition", "generation", "model_files",
        "hyperparameters", "model_cache", "checkpoint",
    ),
    "Recordings": (
        "recording", "recordings", "datasets", "importers", "importers.*", "preprocessing",
        "deconvolution", "calcium_solver", "spike_scores", "spikes", "inspection", "findings",
        "advice", "arguments", "soundness", "cost",
    ),
    "Simulation": ("simulation", "planted", "larva", "ground_truth", "phases", "maximum_entropy"),
    "Validation and selection": (
        "splits", "statistics", "scores", "moments", "likelihood", "correlations", "selection",
        "grid_results", "model_scales", "anova", "comparison",
    ),
    "The command line": ("cli", "cli_*"),
    "Baselines": ("baselines", "baselines.*"),
    "Assemblies and their dynamics": (
        "assemblies", "assembly_export", "matching", "participation", "dynamics", "phase",
        "perturbation",
    ),
    "Connectivity": (
        "connectivity", "connectivity_protocol", "regions", "region_statistics",
        "region_matrices", "structure",
        "atlas", "pairs",
    ),
    "Figures and widgets": (
        "plotting", "plotting_*", "traces", "style", "layouts", "projections", "viewer", "viewer_*",
        "explorer", "explorers", "explorer_page", "widgets",
    ),
    "Training and sampling, inside": (
        "training", "fitting", "monitored_run", "kept_run", "interruption", "schedule",
        "parameters", "linear_units", "warm_start", "updates", "certificate", "coordinates",
        "halves", "heaps", "kernels", "micro_kernel", "prefetch", "bit_masks", "exponentials",
        "random_numbers",
        "sampler", "hidden_sampling", "jumps", "jax_*",
    ),
}  # fmt: skip
REST = "Everything else"


def section_of(module: str) -> str:
    """The section of a module, named without the package; `x.*` and `x_*` stand for all such."""
    for title, names in SECTIONS.items():
        for name in names:
            if module == name or (name.endswith("*") and module.startswith(name[:-1])):
                return title
    return REST
