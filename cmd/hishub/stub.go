package main

type demoCmd struct{}
type benchCmd struct{}
