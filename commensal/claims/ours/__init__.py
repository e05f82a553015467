"""Claims that go beyond the papers: this project's own."""
