"""What stands outside the device: the venue, its traffic and the impairments of its lines."""
