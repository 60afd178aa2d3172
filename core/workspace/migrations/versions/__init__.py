"""One file per schema; a number is never changed once it has shipped."""
