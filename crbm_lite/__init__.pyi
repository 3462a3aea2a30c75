from .assemblies.matching import match_assemblies as match_assemblies
from .calcium.deconvolution import deconvolve as deconvolve
from .connectivity.regions import region_connectivity as region_connectivity
from .core.drelu import DReLU as DReLU
from .datasets.fish import simulate_fish as simulate_fish
from .datasets.registry import fetch as fetch
from .datasets.registry import load_retina as load_retina
from .importers.any_file import import_recording as import_recording
from .inspection.report import check_recording as check_recording
from .model.cache import cached_fit as cached_fit
from .model.model import CRBM as CRBM
from .plotting.figures import brain_scatter as brain_scatter
from .plotting.figures import plot_validation as plot_validation
from .plotting.interactive.viewer import view_assemblies as view_assemblies
from .plotting.style import use_style as use_style
from .recordings.files import load_recording as load_recording
from .recordings.files import save_recording as save_recording
from .recordings.recording import Recording as Recording
from .recordings.splits import split_recording as split_recording
from .recordings.splits import split_train_test as split_train_test
from .simulation.larva_recording import simulate_recording as simulate_recording
from .simulation.planted import plant_recording as plant_recording
from .validation.comparison import compare_moments as compare_moments
from .validation.likelihood import nllh as nllh
from .validation.report import validate as validate
from .validation.selection import grid_search as grid_search

__version__: str
