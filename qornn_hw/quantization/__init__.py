"""From a trained float network and calibration data to an integer network, with its quality."""
