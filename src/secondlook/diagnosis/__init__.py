"""From records to what they show: who flipped, how good the critic was, whether looking twice helped."""
