"""What a study file may say, part by part: plain values in, nouns of a study out, every problem noted with its place."""
