"""What a stage may do: every operator as a function of its parameters, and what it makes as a record with a formula."""
