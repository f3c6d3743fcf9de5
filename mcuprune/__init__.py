"""mcuprune: from a trained Keras model to a checked Cortex-M board."""

__version__ = "0.1.0"
