"""Model against held-out data: moments, scores, reports, and the choice of M and lambda."""
