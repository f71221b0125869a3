"""What a component costs on real devices, from open tools alone."""
