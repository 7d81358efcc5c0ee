module fixtures

go 1.24

require ariga.io/atlas v0.32.0
