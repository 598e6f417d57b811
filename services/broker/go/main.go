// Package main is the C face of kfake, the Kafka broker of the franz-go project. Rust owns the
// listening socket, the data folder's lock and all messages for humans; nothing here may touch
// signals, standard streams or the environment, because the process belongs to somebody else.
package main

// #include <stdint.h>
// #include <stdlib.h>
// typedef void (*storefront_broker_log)(int32_t level, const char *text);
import "C"

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Brokers by handle, so that tests can run several in one process.
var (
	mutex   sync.Mutex
	brokers = map[int64]*kfake.Cluster{}
	last    int64
)

// storefront_broker_start serves Kafka on the listening socket fd, which belongs to this function from
// now on, also when it fails. Clients are told to come back to `advertised` (IP:port). dataDir "" keeps
// everything in memory. It answers NULL and sets the handle, or a message to be freed by the caller.
//
//export storefront_broker_start
func storefront_broker_start(fd C.int, advertised, dataDir *C.char, log C.storefront_broker_log, handle *C.int64_t) (message *C.char) {
	defer func() {
		if panicked := recover(); panicked != nil {
			message = C.CString(fmt.Sprint(panicked))
		}
	}()
	cluster, err := start(os.NewFile(uintptr(fd), "kafka"), C.GoString(advertised), C.GoString(dataDir), rustLogger{log})
	if err != nil {
		return C.CString(err.Error())
	}
	mutex.Lock()
	defer mutex.Unlock()
	last++
	brokers[last] = cluster
	*handle = C.int64_t(last)
	return nil
}

// storefront_broker_stop closes the listener, writes what is still to be written and returns when that is done.
//
//export storefront_broker_stop
func storefront_broker_stop(handle C.int64_t) {
	mutex.Lock()
	cluster := brokers[int64(handle)]
	delete(brokers, int64(handle))
	mutex.Unlock()
	if cluster != nil {
		cluster.Close()
	}
}

// storefront_broker_free gives back a message of storefront_broker_start.
//
//export storefront_broker_free
func storefront_broker_free(message *C.char) { C.free(unsafe.Pointer(message)) }

func start(socket *os.File, advertised, dataDir string, log kfake.Logger) (*kfake.Cluster, error) {
	listener, err := net.FileListener(socket) // a duplicate, so the original is closed in any case
	socket.Close()
	if err != nil {
		return nil, err
	}
	address, err := netip.ParseAddrPort(advertised)
	if err != nil {
		listener.Close()
		return nil, err
	}
	options := append(settings(),
		kfake.WithLogger(log),
		kfake.ListenFn(func(string, string) (net.Listener, error) {
			return advertisedListener{listener, net.TCPAddrFromAddrPort(address)}, nil
		}),
	)
	if dataDir != "" {
		// Every acknowledged record and committed offset is on the disk before the client hears of it.
		options = append(options, kfake.DataDir(dataDir), kfake.SyncWrites())
	}
	return kfake.NewCluster(options...)
}

// settings are what a single broker for development should do where kfake's defaults differ.
// Auto topic creation stays off (its default): a misspelt topic must be an error here as in a cluster.
func settings() []kfake.Opt {
	return []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("storefront-embedded"),
		kfake.DefaultNumPartitions(3),
		// Short sessions let a test, or a developer who killed a service, see the take-over in a second.
		kfake.GroupMinSessionTimeout(time.Second),
		kfake.BrokerConfigs(map[string]string{
			"default.replication.factor": "1",
			"min.insync.replicas":        "1",
		}),
	}
}

// advertisedListener tells clients another address than the one it is bound to (0.0.0.0 is no place to connect to).
type advertisedListener struct {
	net.Listener
	advertised net.Addr
}

func (l advertisedListener) Addr() net.Addr { return l.advertised }

func main() {}
