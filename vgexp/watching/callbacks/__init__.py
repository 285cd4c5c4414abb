"""Callbacks that watch a model inside other people's training loops; each needs the extra of its name."""
