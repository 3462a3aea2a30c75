from .cache import cached_fit as cached_fit
from .cache import model_key as model_key
from .files import ModelFileError as ModelFileError
from .files import arrays_of as arrays_of
from .files import read_model as read_model
from .files import result_of as result_of
from .files import write_model as write_model
from .model import CRBM as CRBM
