"""The numerics of the model: potentials, spikes, random numbers, samplers, partition function.

The hidden inputs I = vW are computed in five ways, because where v and W lie differs:

===========================  ==================================  ===============================
called by                    v and W are read as                 when
===========================  ==================================  ===============================
`Spikes.inputs`, with        chosen frames of a recording,       every method of a model on given
`spikes.input_given_spikes`  sparse; W whole; sums in float64    frames; the start and the
                                                                 certificate of a training; its
                                                                 batches where W is dense
`GibbsChains.batch_inputs`,  a batch, neuron by neuron; packed   batches of a training where W is
with `sample_visible.        rows of W; sums in float32, tile    sparse
partial_input_given_batch`   by tile
`GibbsChains.update_inputs`  the chains' spikes; packed rows     chains that are given spikes or
with `sample_visible.                                            weights from outside
partial_input_given_v`
`GibbsChains.step`, with     a neuron's new spikes in all        every Gibbs step: W is in the
`sample_visible.             chains; its row of W, packed or,    cache, because its way down has
sample_v_given_h(_dense)`    large and dense, whole              just read it
`training.update_kernels.    the chains' spikes; the row of W    every update of a training: the
update_rows`                 that was just moved                 chains' inputs under the new W
===========================  ==================================  ===============================

On an accelerator (`training.accelerator.update`) they are products of whole matrices. The way down,
W h, is `register_products.packed_product` for packed rows and `add_product` for a whole W; both
stand inside `sample_v_given_h(_dense)` and inside the sweeps of `jumps`.

Draws of h are made by `sample_hidden.sample_h_given_partial_input` in a Gibbs step, and by
`sample_hidden.sample_h_given_input` where `DReLU.sample` is asked for them. E[h|I], Var[h|I] and
Gamma(I) come from `drelu`, for a model and for the statistics of a training alike.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
