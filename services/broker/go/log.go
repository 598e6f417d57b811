package main

// #include <stdint.h>
// #include <stdlib.h>
// typedef void (*storefront_broker_log)(int32_t level, const char *text);
// static inline void storefront_broker_call(storefront_broker_log log, int32_t level, const char *text) { log(level, text); }
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kfake"
)

// rustLogger hands kfake's lines to the process's own log. Debug lines come for every request and are dropped here.
type rustLogger struct{ log C.storefront_broker_log }

func (r rustLogger) Logf(level kfake.LogLevel, format string, args ...any) {
	if level == kfake.LogLevelNone || level > kfake.LogLevelInfo {
		return
	}
	text := C.CString(fmt.Sprintf(format, args...))
	defer C.free(unsafe.Pointer(text))
	C.storefront_broker_call(r.log, C.int32_t(level), text)
}
