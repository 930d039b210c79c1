module hishub/tools

go 1.26.0
