from .checkpoint import CheckpointError as CheckpointError
from .checkpoint import CheckpointFile as CheckpointFile
from .checkpoint import CheckpointWarning as CheckpointWarning
from .checkpoint import run_identity as run_identity
from .interruption import StopRequest as StopRequest
from .interruption import stop_request as stop_request
from .resume import KeptRun as KeptRun
from .resume import find_run as find_run
