package api

import "net/http"

func (a *api) pages(mux *http.ServeMux) {}
func pageHeaders(w http.ResponseWriter) {}
