"""A recording looked over before training: findings, advice, cost."""
