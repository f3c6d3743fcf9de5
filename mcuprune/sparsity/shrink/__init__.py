"""Empty channels taken out of a Keras model."""
