from .cache import cached_fit as cached_fit
from .cache import model_key as model_key
from .model import CRBM as CRBM
