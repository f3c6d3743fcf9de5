"""From a generated folder to an image, and what the image costs."""
