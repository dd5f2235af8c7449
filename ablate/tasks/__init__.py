"""What a network is trained for: loss, augmentation and scores of each task."""
