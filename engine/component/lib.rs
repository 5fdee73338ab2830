//! What the worker of components needs beyond the C API.
//!
//! The C API has the engine's WASI 0.2 in a synchronous mode, which starts a thread for each
//! processor, one for standard input and one for each file that is slow. The worker's system call
//! filter lets it start none, and it has one guest, which may block it. So the guest runs on a
//! stack of its own inside one event loop of one thread; its calls on files are made there and
//! then; and its standard streams are descriptors 0 to 2, waited for by that loop. Where there is a
//! network, names are looked up on a second thread, since the C library has no other way; that is
//! there before the guest begins.
//!
//! The C side of this is src/engine/wasi2.h.

use std::ffi::{c_char, c_int, CStr};
use std::future::Future;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::runtime::Runtime;
use wasmtime_c_api::wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime_c_api::wasmtime::{
    format_err, Engine, Error, Store, StoreLimits, StoreLimitsBuilder, Trap, WasmBacktrace,
};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    default_hooks, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks,
    WasiHttpView,
};

pub use wasmtime_c_api::*;

/// What a component may be made of: composed ones have dozens of instances, each memory of which
/// takes 4 GiB of address space.
const INSTANCES_MOST: usize = 4096;
const TABLES_MOST: usize = 4096;
const MEMORIES_MOST: usize = 256;

/// At most, of one read or write.
const CHUNK: usize = 64 << 10;

// --- standard streams --------------------------------------------------------------------------

/// Descriptors 0 to 2 are there as long as the process.
fn descriptor(number: RawFd) -> BorrowedFd<'static> {
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Whether a call would not block; also true of what is closed or broken, of which the call tells.
fn is_ready(number: RawFd, what: PollFlags) -> bool {
    let file = descriptor(number);
    let mut files = [PollFd::new(&file, what)];

    !matches!(poll(&mut files, Some(&Timespec::default())), Ok(0))
}

fn wait_until_ready(number: RawFd, what: PollFlags) {
    let file = descriptor(number);
    let mut files = [PollFd::new(&file, what)];

    let _ = poll(&mut files, None); // whatever it says, the call is made again
}

fn stream_error(error: rustix::io::Errno) -> StreamError {
    match error {
        rustix::io::Errno::PIPE => StreamError::Closed,
        other => StreamError::LastOperationFailed(io::Error::from(other).into()),
    }
}

/// Standard input as the loop sees it: None, it can't be waited for (a file), and is always ready.
type Watched = Option<Arc<AsyncFd<RawFd>>>;

/// The loop takes a descriptor once, however many streams a guest makes of it. Its mode is left as it is:
/// others may have it open.
fn watched_input() -> Watched {
    static INPUT: OnceLock<Watched> = OnceLock::new();

    INPUT
        .get_or_init(|| {
            // descriptor 0 is never another
            let watched = unsafe { AsyncFd::register_with_interest(0, Interest::READABLE) };
            watched.ok().map(Arc::new)
        })
        .clone()
}

struct Input;
struct InputOf(Watched);

impl IsTerminal for Input {
    fn is_terminal(&self) -> bool {
        rustix::termios::isatty(descriptor(0))
    }
}

impl StdinStream for Input {
    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(InputOf(watched_input()))
    }

    /// WASI 0.3's, which isn't built in.
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }
}

#[async_trait::async_trait]
impl Pollable for InputOf {
    async fn ready(&mut self) {
        let Some(watched) = &self.0 else { return };

        while !is_ready(0, PollFlags::IN) {
            match watched.readable().await {
                Ok(mut guard) if !is_ready(0, PollFlags::IN) => guard.clear_ready(),
                _ => return,
            }
        }
    }
}

impl InputStream for InputOf {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 || !is_ready(0, PollFlags::IN) {
            return Ok(Bytes::new());
        }
        let mut chunk = vec![0; size.min(CHUNK)];
        match rustix::io::read(descriptor(0), &mut chunk[..]) {
            Ok(0) => Err(StreamError::Closed),
            Ok(count) => {
                chunk.truncate(count);
                Ok(chunk.into())
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(Bytes::new()),
            Err(error) => Err(stream_error(error)),
        }
    }
}

/// Blocks where the descriptor does: there is no other guest to wait for it.
struct Output(RawFd);

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        rustix::termios::isatty(descriptor(self.0))
    }
}

impl StdoutStream for Output {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Output(self.0))
    }

    /// WASI 0.3's, which isn't built in.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::empty())
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut left = &bytes[..];

        while !left.is_empty() {
            match rustix::io::write(descriptor(self.0), left) {
                Ok(count) => left = &left[count..],
                Err(rustix::io::Errno::INTR) => (),
                Err(rustix::io::Errno::AGAIN) => wait_until_ready(self.0, PollFlags::OUT),
                Err(error) => return Err(stream_error(error)),
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

// --- what the guest is given -------------------------------------------------------------------

/// For who has no network: no request leaves, and nobody tries.
struct NoRequests;

type Answer = Result<
    (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>),
    wasmtime_wasi_http::Error,
>;

impl WasiHttpHooks for NoRequests {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _body: Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        Box::new(async { Err(wasmtime_wasi_http::Error::HttpRequestDenied) })
    }
}

struct Host {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    limits: StoreLimits,
    refused: Option<NoRequests>,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let hooks: &mut dyn WasiHttpHooks = match &mut self.refused {
            Some(refused) => refused,
            None => default_hooks(),
        };

        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks }
    }
}

#[repr(C)]
pub struct cl_component_setup {
    arguments: *const *const c_char,
    environment: *const *const c_char,
    memory_bytes: u64,
    table_elements: u64,
    has_network: c_int,
}

/// A list of C's that ends with NULL; components have text alone.
unsafe fn texts<'a>(list: *const *const c_char, what: &str) -> Result<Vec<&'a str>, Error> {
    let mut texts = Vec::new();

    while !unsafe { *list.add(texts.len()) }.is_null() {
        let text = unsafe { CStr::from_ptr(*list.add(texts.len())) };
        let text = text.to_str();
        texts.push(text.map_err(|_| format_err!("{what} {} is no UTF-8", texts.len()))?);
    }
    Ok(texts)
}

unsafe fn make_wasi(setup: &cl_component_setup) -> Result<WasiCtx, Error> {
    let has_network = setup.has_network != 0;
    let mut builder = WasiCtxBuilder::new();

    builder.allow_blocking_current_thread(true).stdin(Input).stdout(Output(1)).stderr(Output(2));
    builder.args(&unsafe { texts(setup.arguments, "argument") }?);
    for variable in unsafe { texts(setup.environment, "variable of the environment") }? {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        builder.env(name, value);
        if name == "PWD" {
            builder.initial_cwd(value);
        }
    }
    builder.preopened_dir("/", "/", FsPerms::ReadWrite)?;
    builder.allow_tcp(has_network).allow_udp(has_network).allow_ip_name_lookup(has_network);
    if has_network {
        builder.inherit_network();
    }
    Ok(builder.build())
}

fn make_limits(setup: &cl_component_setup) -> StoreLimits {
    StoreLimitsBuilder::new()
        .memory_size(usize::try_from(setup.memory_bytes).unwrap_or(usize::MAX))
        .table_elements(usize::try_from(setup.table_elements).unwrap_or(usize::MAX))
        .instances(INSTANCES_MOST)
        .tables(TABLES_MOST)
        .memories(MEMORIES_MOST)
        .build()
}

// --- running -----------------------------------------------------------------------------------

#[allow(non_camel_case_types)] // C's
pub struct cl_component_guest {
    runtime: Runtime,
    store: Store<Host>,
    command: CommandPre<Host>,
}

fn find_imports(engine: &Engine, component: &Component) -> Result<CommandPre<Host>, Error> {
    let mut linker = Linker::new(engine);

    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    CommandPre::new(linker.instantiate_pre(component)?).map_err(|_| {
        format_err!("it exports no wasi:cli/run: it is a library or a server, and no command")
    })
}

/// A thread that is once started stays: for longer than anything here lives.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

fn make_runtime(has_network: bool) -> Result<Runtime, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(1)
        .thread_keep_alive(FOREVER)
        .build()?;

    if has_network {
        // where there can be no thread the loop would panic, and this tells
        let tried = std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join());
        tried.map_err(|error| format_err!("start the thread that looks up names: {error}"))?.ok();
        runtime.block_on(runtime.spawn_blocking(|| ()))?;
    }
    Ok(runtime)
}

unsafe fn make_guest(
    engine: &Engine,
    component: &Component,
    setup: &cl_component_setup,
) -> Result<cl_component_guest, Error> {
    let command = find_imports(engine, component)?;
    let mut store = Store::new(
        engine,
        Host {
            wasi: unsafe { make_wasi(setup) }?,
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            limits: make_limits(setup),
            refused: (setup.has_network == 0).then_some(NoRequests),
        },
    );

    store.limiter(|host| &mut host.limits);
    store.set_epoch_deadline(u64::MAX / 2);
    Ok(cl_component_guest { runtime: make_runtime(setup.has_network != 0)?, store, command })
}

/// What it ends with: a status, or an error with whether the guest was to blame, which is a trap.
/// While it is made it may want more than there is; what is wrong once it runs is always its own.
fn run(guest: &mut cl_component_guest) -> Result<i32, (Error, bool)> {
    let cl_component_guest { runtime, store, command } = guest;
    let mut has_begun = false;
    let done = runtime.block_on(async {
        let command = command.instantiate_async(&mut *store).await?;
        has_begun = true;
        command.wasi_cli_run().call_run(&mut *store).await
    });

    match done {
        Ok(Ok(())) => Ok(0),
        Ok(Err(())) => Ok(1),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(exit.0),
            None => {
                let has_begun = has_begun || error.is::<Trap>() || error.is::<WasmBacktrace>();
                Err((error, has_begun))
            }
        },
    }
}

// --- the C side --------------------------------------------------------------------------------

/// A component and an engine of the C API; each is a struct of the Rust API's alone, as C sees it
/// (repr(C), repr(transparent)), in this very version; their fields have no public name.
const _: () = assert!(size_of::<wasm_engine_t>() == size_of::<Engine>());
const _: () = assert!(size_of::<wasmtime_component_t>() == size_of::<Component>());

/// RET, or what is wrong with COMPONENT or SETUP.
///
/// # Safety
/// Pointers are to what they say; ENGINE and COMPONENT are such as the C API has made.
#[no_mangle]
pub unsafe extern "C" fn cl_component_guest_new(
    engine: *const wasm_engine_t,
    component: *const wasmtime_component_t,
    setup: *const cl_component_setup,
    ret: *mut *mut cl_component_guest,
) -> Option<Box<wasmtime_error_t>> {
    let engine = unsafe { &*engine.cast::<Engine>() };
    let component = unsafe { &*component.cast::<Component>() };

    match unsafe { make_guest(engine, component, &*setup) } {
        Ok(guest) => {
            unsafe { *ret = Box::into_raw(Box::new(guest)) };
            None
        }
        Err(error) => Some(Box::new(error.into())),
    }
}

/// How a guest ended: with a status, or by ERROR (the caller's).
#[repr(C)]
pub struct cl_component_end {
    status: i32,
    is_trap: c_int,
    /// of a trap; -1: it is the host's, and TEXT says which
    trap_code: i32,
    text: [c_char; 200],
    error: Option<Box<wasmtime_error_t>>,
}

fn set_text(text: &mut [c_char], from: &str) {
    let room = text.len() - 1;

    text.fill(0);
    for (to, byte) in text[..room].iter_mut().zip(from.bytes()) {
        *to = byte as c_char;
    }
}

/// Runs GUEST to its end, once.
///
/// # Safety
/// GUEST is cl_component_guest_new's.
#[no_mangle]
pub unsafe extern "C" fn cl_component_guest_run(
    guest: *mut cl_component_guest,
    ret: *mut cl_component_end,
) {
    let ret = unsafe { &mut *ret };

    match run(unsafe { &mut *guest }) {
        Ok(status) => ret.status = status,
        Err((error, is_trap)) => {
            let trap = error.downcast_ref::<Trap>();
            ret.is_trap = is_trap.into();
            ret.trap_code = trap.map_or(-1, |trap| *trap as i32);
            set_text(&mut ret.text, &error.root_cause().to_string());
            unsafe { std::ptr::write(&mut ret.error, Some(Box::new(error.into()))) };
        }
    }
}
