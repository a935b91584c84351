package main

import "soclab/pkg/stats"

func writePlots(string, *stats.Summary, *stats.Scores) ([]string, error) { return nil, nil }
