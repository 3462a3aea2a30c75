from .random_machines import PhaseSample as PhaseSample
from .random_machines import random_rbm as random_rbm
from .random_machines import sample_phase as sample_phase
