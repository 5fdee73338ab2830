//! What the compiler needs beyond the C API.
//!
//! The C API compiles a module into executable memory of its own process and writes it out from
//! there. cloister-wasmc is in a jail that allows no executable memory, and needs none: the
//! engine can compile into a block of bytes, which only its Rust API shows. Threads are started
//! when the caller says, since its jail later allows no new ones. Components are checked as a whole
//! before they are compiled, which the engine does with modules alone. And whatever ends the
//! engine early, a panic or an allocation that failed, is told in one line.
//!
//! The C side of this is src/helpers/wasm/engine.h.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{c_char, c_int, c_void};
use std::fmt::Write as _;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};
use wasmparser::{Validator, WasmFeatures};
use wasmtime_c_api::wasmtime::{Engine, Error, Module};

pub use wasmtime_c_api::*;

/// Deep enough for what the compiler does to a nest of blocks as deep as a module can have it;
/// it costs address space only.
const STACK_SIZE: usize = 8 << 20;

const OUT_OF_MEMORY: c_int = 1;
const BUG: c_int = 0;

/// Ends the process; called on any thread, with text that ends in no NUL.
type Died = extern "C" fn(context: *mut c_void, why: c_int, text: *const c_char, size: usize) -> !;

struct Mourner {
    died: Died,
    context: *mut c_void,
}

// The C side gives a context that lives as long as the process and that nobody writes.
unsafe impl Send for Mourner {}
unsafe impl Sync for Mourner {}

static MOURNER: OnceLock<Mourner> = OnceLock::new();
static POOL: OnceLock<ThreadPool> = OnceLock::new();

fn die(why: c_int, text: &str) -> ! {
    if let Some(mourner) = MOURNER.get() {
        (mourner.died)(mourner.context, why, text.as_ptr().cast(), text.len());
    }
    std::process::abort()
}

/// Memory as the C library gives it, or the end: nothing of what is half done is worth saving.
struct OrDie;

#[global_allocator]
static ALLOCATOR: OrDie = OrDie;

fn or_die(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        die(OUT_OF_MEMORY, "");
    }
    block
}

unsafe impl GlobalAlloc for OrDie {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        or_die(System.alloc(layout))
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        or_die(System.alloc_zeroed(layout))
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        or_die(System.realloc(block, layout, size))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        System.dealloc(block, layout)
    }
}

fn on_panic(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic");
    match info.location() {
        Some(place) => die(BUG, &format!("{message} ({}:{})", place.file(), place.line())),
        None => die(BUG, message),
    }
}

/// Comes before all other calls.
#[no_mangle]
pub extern "C" fn cl_engine_begin(died: Died, context: *mut c_void) {
    let _ = MOURNER.set(Mourner { died, context });
    std::panic::set_hook(Box::new(on_panic));
}

fn start(builder: ThreadPoolBuilder, count: usize) -> Option<ThreadPool> {
    builder.num_threads(count).stack_size(STACK_SIZE).build().ok()
}

/// Starts COUNT threads to compile on and returns when they run, with their number: the caller
/// alone (1) where the host gives no threads.
#[no_mangle]
pub extern "C" fn cl_engine_start(count: usize) -> usize {
    let pool = Some(count)
        .filter(|count| *count > 1)
        .and_then(|count| start(ThreadPoolBuilder::new(), count))
        .or_else(|| start(ThreadPoolBuilder::new().use_current_thread(), 1));
    let Some(pool) = pool else {
        die(BUG, "the engine has no thread to compile on");
    };
    if pool.current_num_threads() > 1 {
        pool.broadcast(|_| ()); // each has made what it has to make before it can run
    }
    POOL.get_or_init(|| pool).current_num_threads()
}

/// A block of memory that the process keeps to its end.
#[repr(C)]
pub struct cl_engine_bytes {
    data: *const u8,
    size: usize,
}

/// All causes on one line, the outermost first.
fn describe(error: &Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let _ = write!(text, "{}{cause}", if text.is_empty() { "" } else { ": " });
    }
    text
}

// All of it before any of it is compiled: so the first error in it is the one told.

fn compile_module(engine: &Engine, module: &[u8]) -> Result<Vec<u8>, Error> {
    Module::validate(engine, module)?;
    engine.precompile_module(module)
}

/// What the engine is set to allow it tells nobody: here everything may be there that could be, and
/// what is too much of it the engine finds when it compiles.
fn compile_component(engine: &Engine, component: &[u8]) -> Result<Vec<u8>, Error> {
    Validator::new_with_features(WasmFeatures::all()).validate_all(component)?;
    engine.precompile_component(component)
}

/// Compiles MODULE, which may be a component; 0 and RET, or -1 and what is wrong with it, cut to
/// SIZE bytes with a NUL.
///
/// # Safety
/// Pointers are to what they say; ENGINE is one that the C API has made.
#[no_mangle]
pub unsafe extern "C" fn cl_engine_compile(
    engine: *const wasm_engine_t,
    module: *const cl_engine_bytes,
    is_component: c_int,
    ret: *mut cl_engine_bytes,
    text: *mut c_char,
    size: usize,
) -> c_int {
    // wasm_engine_t is a struct of an Engine alone, as C sees it (repr(C)), in this very version;
    // its field has no public name.
    const { assert!(size_of::<wasm_engine_t>() == size_of::<Engine>()) };
    let engine = unsafe { &*engine.cast::<Engine>() };
    let module = unsafe { std::slice::from_raw_parts((*module).data, (*module).size) };
    let pool = POOL.get().unwrap_or_else(|| die(BUG, "cl_engine_start was not called"));

    let compile = if is_component != 0 { compile_component } else { compile_module };

    match pool.install(|| compile(engine, module)) {
        Ok(code) => {
            let code = Vec::leak(code);
            unsafe { *ret = cl_engine_bytes { data: code.as_ptr(), size: code.len() } };
            0
        }
        Err(error) => {
            let message = describe(&error);
            let count = message.len().min(size - 1);
            unsafe {
                std::ptr::copy_nonoverlapping(message.as_ptr(), text.cast(), count);
                *text.add(count) = 0;
            }
            -1
        }
    }
}
