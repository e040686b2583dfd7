"""qornn-hw: from a trained, quantized recurrent network to verified FPGA hardware."""
