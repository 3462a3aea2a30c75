"""Importers: one module for each file format, each returning a `Recording`.

- `crbm_lite.importers.any_file`: `import_recording`, which finds out the format by itself;
- `crbm_lite.importers.numpy_file`, `crbm_lite.importers.matlab`, `crbm_lite.importers.csv_file`,
  `crbm_lite.importers.hdf5_file`: arrays under the user's own names;
- `crbm_lite.importers.suite2p`, `crbm_lite.importers.caiman`, `crbm_lite.importers.nwb`: the output
  of analysis tools;
- `crbm_lite.importers.phy`: the output of spike sorters, in the layout of phy and Kilosort;
- `crbm_lite.importers.spike_times`: spike times, binned;
- `crbm_lite.importers.published`: the published whole-brain zebrafish recordings;
- `crbm_lite.importers.retinal_waves`: spike times of multi-electrode retina recordings.

They share how arrays become a recording (`crbm_lite.importers.arrays`), which cells of an analysis
tool are kept and where they lie (`crbm_lite.importers.cells`), how spike times are binned
(`crbm_lite.importers.binning`), and how activity that is not 0/1 becomes so, in the way that the
user names (`crbm_lite.importers.binarisation`). Nothing of a file is ever executed, and no pickle
is loaded. Errors are `crbm_lite.files.hdf5.RecordingError`, a ValueError, and name the file and
the key.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
