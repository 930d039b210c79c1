package private

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// settings is the text of the file included at the end of postgresql.conf.
// Whatever an administrator sets with ALTER SYSTEM still wins over it.
func settings(port int, own map[string]string) string {
	all := map[string]string{
		"listen_addresses":           "127.0.0.1",
		"port":                       strconv.Itoa(port),
		"unix_socket_directories":    "", // a folder's path may be too long for one (107 bytes)
		"max_connections":            "200",
		"shared_buffers":             "256MB",
		"dynamic_shared_memory_type": sharedMemory(),

		// The promise "accepted is never lost" stands on these.
		"fsync":              "on",
		"synchronous_commit": "on",
		"full_page_writes":   "on",
		"wal_compression":    "on",
		"max_wal_size":       "2GB",

		"jit":          "off", // our queries are short; compiling them costs more than it gains
		"timezone":     "UTC",
		"log_timezone": "UTC",

		// A week of files, each overwritten when its weekday returns.
		"logging_collector":        "on",
		"log_directory":            "../log",
		"log_filename":             "postgres-%a.log",
		"log_rotation_age":         "1d",
		"log_rotation_size":        "0",
		"log_truncate_on_rotation": "on",
		"log_checkpoints":          "off",

		// Rows and statements carry patients' data, which no log may hold: the
		// DETAIL of a violated constraint shows the row.
		"log_error_verbosity":     "terse",
		"log_min_error_statement": "panic",
	}
	maps.Copy(all, own)
	var text strings.Builder
	text.WriteString("# Written at each start by hishub. Use ALTER SYSTEM for changes of your own.\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&text, "%s = '%s'\n", name, strings.ReplaceAll(all[name], "'", "''"))
	}
	return text.String()
}

// sharedMemory is posix where /dev/shm has room; containers often give it 64 MB,
// which a single parallel query can exceed.
func sharedMemory() string {
	var shm syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &shm); err != nil || shm.Blocks*uint64(shm.Bsize) < 128<<20 {
		return "mmap"
	}
	return "posix"
}
