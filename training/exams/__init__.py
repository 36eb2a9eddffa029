"""Published exams of a CLIP-like model in English and Chinese: ELEVATER, other classification, retrieval."""
