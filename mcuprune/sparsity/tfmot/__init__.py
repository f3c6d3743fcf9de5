"""The pruning API of TensorFlow Model Optimization, a thin layer over masks on variables."""
