//! The three C functions of the Go archive behind a safe handle: the workspace's only `unsafe`.
#![expect(unsafe_code, reason = "the Kafka broker is a Go program linked as a C archive")]

use std::{
    ffi::{CStr, CString, c_char, c_int},
    net::TcpListener,
    os::{fd::IntoRawFd, unix::ffi::OsStrExt},
    path::Path,
};

use crate::BrokerError;

type Log = extern "C" fn(level: i32, text: *const c_char);

unsafe extern "C" {
    fn storefront_broker_start(
        listener: c_int,
        advertised: *const c_char,
        data: *const c_char,
        log: Log,
        handle: *mut i64,
    ) -> *mut c_char;
    fn storefront_broker_stop(handle: i64);
    fn storefront_broker_free(message: *mut c_char);
}

/// A cluster of one broker on the Go side; dropping it stops it and waits until it has.
#[derive(Debug)]
pub(crate) struct Cluster {
    handle: i64,
}

impl Cluster {
    pub(crate) fn start(
        listener: TcpListener,
        advertised: &str,
        data: Option<&Path>,
    ) -> Result<Self, BrokerError> {
        let text = |bytes: &[u8]| {
            CString::new(bytes)
                .map_err(|_| BrokerError::Start { message: "the folder's name has a NUL".into() })
        };
        let advertised = text(advertised.as_bytes())?;
        let data = text(data.map_or(&[][..], |folder| folder.as_os_str().as_bytes()))?;
        let mut handle = 0;
        // SAFETY: the descriptor is owned by nobody else from here on and the Go side closes it; the
        // strings and the handle live until the call returns, and Go keeps none of these pointers;
        // `log` is a function of this program, callable from any thread.
        let message = unsafe {
            storefront_broker_start(
                listener.into_raw_fd(),
                advertised.as_ptr(),
                data.as_ptr(),
                log,
                &raw mut handle,
            )
        };
        if message.is_null() {
            return Ok(Self { handle });
        }
        // SAFETY: not null, so it is a C string made by the Go side for us, read and freed once.
        let words = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
        unsafe { storefront_broker_free(message) };
        Err(BrokerError::Start { message: words })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SAFETY: the handle came from a successful start and is stopped once.
        unsafe { storefront_broker_stop(self.handle) };
    }
}

/// kfake's levels: 1 error, 2 warning, 3 information such as a member that joined.
extern "C" fn log(level: i32, text: *const c_char) {
    // SAFETY: the Go side passes a C string that lives until this function returns.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    match level {
        1 => tracing::error!(target: "storefront_broker", "{text}"),
        2 => tracing::warn!(target: "storefront_broker", "{text}"),
        _ => tracing::debug!(target: "storefront_broker", "{text}"),
    }
}
