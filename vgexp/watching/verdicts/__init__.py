"""From what was seen to what it says: evidence, the fall, findings, remedies, the diagnosis."""
