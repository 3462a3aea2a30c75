from .devices import BackendWarning as BackendWarning
from .devices import DeviceMemoryError as DeviceMemoryError
from .devices import Devices as Devices
from .devices import check_memory as check_memory
from .devices import memory_needed as memory_needed
