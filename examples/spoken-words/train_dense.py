"""Train dense DS-CNN-L on the spoken words and write dense.keras, where the demo starts (`make demo-train`)."""

from __future__ import annotations

import sys

import dscnn
import keras
import words

EPOCHS = 8


def main() -> int:
    keras.utils.set_random_seed(1)
    data = words.load()
    trained = dscnn.train(dscnn.build(276, 5, len(words.class_names), "ds_cnn_l"), data, EPOCHS)
    dscnn.round_weights(trained)
    plain = dscnn.build(276, 5, len(words.class_names), "ds_cnn_l")
    plain.set_weights(trained.get_weights())
    path = dscnn.HERE / "dense.keras"
    size = dscnn.save_small(plain, path)
    x, y = words.test()
    accuracy = dscnn.accuracy(keras.saving.load_model(path), x, y)
    print(f"{path.name}: {size} bytes, {accuracy:.1%} of {len(y)} clips of held-out voices")
    return 0


if __name__ == "__main__":
    sys.exit(main())
