// Package hospitals is the hospital folders that hishub ships: one for each
// dialect of the fake hospitals in mocks, to start from and to test with.
package hospitals

import "embed"

// FS holds a folder for each hospital, named by its id.
//
//go:embed all:beicheng all:dongshan all:lianhu all:xihu all:nanyuan all:jiangwan all:yongan all:xingguang all:heping all:qingshan all:jianguan
var FS embed.FS
