"""From calcium to spikes: filters, deconvolution, scores of inferred spikes."""
