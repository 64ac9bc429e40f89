//! A disk that is watched: what SQLite asks the operating system for goes through here, so that a test sees every
//! sync, can hold one or let it fail, and knows what a loss of power would leave.
//!
//! It is a VFS of SQLite (<https://www.sqlite.org/vfs.html>) in front of the default one, and takes its place.
//! Everything is handed on; only `xSync` and `xDelete` do something of their own.

#![expect(unsafe_code, reason = "SQLite calls a VFS through C; nothing else shows which syncs it waited for")]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::ffi;

/// What happens below one directory. Made before a store is opened in it.
pub(crate) struct Disk {
    directory: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    wal_syncs: usize,
    /// The files as of their last sync.
    durable: BTreeMap<PathBuf, Vec<u8>>,
    /// Deleted since the last sync of the directory: a loss of power may bring them back.
    deleted: Vec<PathBuf>,
    is_holding: bool,
    held: usize,
    is_failing: bool,
}

static DISKS: Mutex<Vec<Arc<Disk>>> = Mutex::new(Vec::new());

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

impl Disk {
    pub(crate) fn watch(directory: &Path) -> Arc<Self> {
        LazyLock::force(&VFS);
        let disk = Arc::new(Self { directory: directory.to_owned(), state: Mutex::default(), changed: Condvar::new() });
        DISKS.lock().unwrap().push(Arc::clone(&disk));
        disk
    }

    /// How often the write-ahead log was synced; one that has not returned yet does not count.
    pub(crate) fn wal_syncs(&self) -> usize {
        self.state().wal_syncs
    }

    /// Lets no sync of the write-ahead log begin any more.
    pub(crate) fn hold_syncs(&self) {
        self.state().is_holding = true;
    }

    /// Blocks until a sync is held.
    pub(crate) fn wait_for_held_sync(&self) {
        let waiting = |state: &mut State| state.held == 0;
        let (state, timeout) = self.changed.wait_timeout_while(self.state(), PATIENCE, waiting).unwrap();
        assert!(!timeout.timed_out(), "no sync came");
        drop(state);
    }

    pub(crate) fn release_syncs(&self) {
        self.state().is_holding = false;
        self.changed.notify_all();
    }

    /// Lets each sync of the write-ahead log fail, or work again.
    pub(crate) fn fail_syncs(&self, fail: bool) {
        self.state().is_failing = fail;
    }

    /// Writes what a loss of power now would leave: each file as of its last sync, and the directory likewise.
    pub(crate) fn lose_power_into(&self, directory: &Path) {
        let durable = self.state().durable.clone();
        for (path, bytes) in durable {
            std::fs::write(directory.join(path.file_name().unwrap()), bytes).unwrap();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn sync(&self, file: &WatchedFile, flags: c_int) -> c_int {
        let mut state = self.state();
        if file.is_wal {
            if state.is_failing {
                return ffi::SQLITE_IOERR_FSYNC;
            }
            state.held += 1;
            self.changed.notify_all();
            state = self.changed.wait_while(state, |state| state.is_holding).unwrap();
            state.held -= 1;
        }
        // SAFETY: `file` is open, and only the thread whose connection has it calls this.
        let done = unsafe { file.real_sync(flags) };
        if done == ffi::SQLITE_OK {
            // SAFETY: as above.
            let bytes = unsafe { file.real_content() };
            state.durable.insert(file.path.clone(), bytes);
            state.wal_syncs += usize::from(file.is_wal);
            if file.syncs_directory.swap(false, Ordering::Relaxed) {
                state.sync_directory();
            }
        }
        done
    }

    fn delete(&self, path: &Path, and_sync: bool) {
        let mut state = self.state();
        state.deleted.push(path.to_owned());
        if and_sync {
            state.sync_directory();
        }
    }
}

impl State {
    fn sync_directory(&mut self) {
        for path in std::mem::take(&mut self.deleted) {
            self.durable.remove(&path);
        }
    }
}

/// What SQLite has of an open file: the part that it knows, ours, and the default VFS's own part behind it.
#[repr(C)]
struct OpenFile {
    base: ffi::sqlite3_file,
    watched: *mut WatchedFile,
}

struct WatchedFile {
    /// `None` for a file of another test.
    disk: Option<Arc<Disk>>,
    path: PathBuf,
    is_wal: bool,
    /// With the first sync of a new journal, SQLite syncs the directory that it was made in.
    syncs_directory: AtomicBool,
    real: *mut ffi::sqlite3_file,
}

impl WatchedFile {
    /// # Safety
    /// The file is open.
    unsafe fn real_sync(&self, flags: c_int) -> c_int {
        unsafe { ((*(*self.real).pMethods).xSync.unwrap())(self.real, flags) }
    }

    /// Through SQLite: whoever else opens and closes a file takes the process's locks on it away.
    ///
    /// # Safety
    /// The file is open.
    unsafe fn real_content(&self) -> Vec<u8> {
        unsafe {
            let methods = &*(*self.real).pMethods;
            let mut size = 0;
            assert_eq!((methods.xFileSize.unwrap())(self.real, &raw mut size), ffi::SQLITE_OK);
            let mut bytes = vec![0_u8; usize::try_from(size).unwrap()];
            let length = c_int::try_from(bytes.len()).unwrap();
            if length > 0 {
                let read = (methods.xRead.unwrap())(self.real, bytes.as_mut_ptr().cast(), length, 0);
                assert_eq!(read, ffi::SQLITE_OK);
            }
            bytes
        }
    }
}

/// The VFS, and the one that it stands before.
struct Vfs {
    default: *mut ffi::sqlite3_vfs,
}

// SAFETY: SQLite registers it once and only reads it then.
unsafe impl Send for Vfs {}
// SAFETY: as above.
unsafe impl Sync for Vfs {}

static VFS: LazyLock<Vfs> = LazyLock::new(|| {
    // SAFETY: the default VFS lives as long as the process, and so does ours, which is leaked.
    unsafe {
        assert_eq!(ffi::sqlite3_initialize(), ffi::SQLITE_OK);
        let default = ffi::sqlite3_vfs_find(std::ptr::null());
        let ours = ffi::sqlite3_vfs {
            szOsFile: c_int::try_from(size_of::<OpenFile>()).unwrap() + (*default).szOsFile,
            pNext: std::ptr::null_mut(),
            zName: c"watched".as_ptr(),
            xOpen: Some(open),
            xDelete: Some(delete),
            ..*default
        };
        assert_eq!(ffi::sqlite3_vfs_register(Box::into_raw(Box::new(ours)), 1), ffi::SQLITE_OK);
        Vfs { default }
    }
});

/// SAFETY of all that follow: SQLite calls them with a file that `open` filled in and `close` has not seen.
unsafe fn watched<'a>(file: *mut ffi::sqlite3_file) -> &'a WatchedFile {
    unsafe { &*(*file.cast::<OpenFile>()).watched }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    unsafe {
        let this = file.cast::<OpenFile>();
        let real = this.add(1).cast::<ffi::sqlite3_file>();
        let default = VFS.default;
        let opened = ((*default).xOpen.unwrap())(default, name, real, flags, out_flags);
        if (*real).pMethods.is_null() {
            // Then SQLite does not close it.
            (*file).pMethods = std::ptr::null();
            return opened;
        }
        let path = path_of(name);
        let is_wal = flags & ffi::SQLITE_OPEN_WAL != 0;
        let is_new_journal =
            flags & ffi::SQLITE_OPEN_CREATE != 0 && (is_wal || flags & ffi::SQLITE_OPEN_MAIN_JOURNAL != 0);
        let syncs_directory = AtomicBool::new(is_new_journal);
        let watched = WatchedFile { disk: disk_of(&path), path, is_wal, syncs_directory, real };
        (*this).watched = Box::into_raw(Box::new(watched));
        (*file).pMethods = &METHODS;
        opened
    }
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync_directory: c_int) -> c_int {
    unsafe {
        let default = VFS.default;
        let deleted = ((*default).xDelete.unwrap())(default, name, sync_directory);
        let path = path_of(name);
        if let Some(disk) = disk_of(&path)
            && deleted == ffi::SQLITE_OK
        {
            disk.delete(&path, sync_directory != 0);
        }
        deleted
    }
}

/// Empty for a temporary file.
unsafe fn path_of(name: *const c_char) -> PathBuf {
    if name.is_null() {
        return PathBuf::new();
    }
    PathBuf::from(unsafe { CStr::from_ptr(name) }.to_str().unwrap())
}

fn disk_of(path: &Path) -> Option<Arc<Disk>> {
    DISKS.lock().unwrap().iter().find(|disk| path.starts_with(&disk.directory)).cloned()
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe {
        let watched = Box::from_raw((*file.cast::<OpenFile>()).watched);
        ((*(*watched.real).pMethods).xClose.unwrap())(watched.real)
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    unsafe {
        let file = watched(file);
        match &file.disk {
            Some(disk) => disk.sync(file, flags),
            None => file.real_sync(flags),
        }
    }
}

/// A method that only hands on.
macro_rules! hand_on {
    ($name:ident as $method:ident($($arg:ident: $of:ty),*) -> $answer:ty) => {
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $arg: $of)*) -> $answer {
            unsafe {
                let real = watched(file).real;
                ((*(*real).pMethods).$method.unwrap())(real $(, $arg)*)
            }
        }
    };
}

hand_on!(read as xRead(to: *mut c_void, amount: c_int, at: i64) -> c_int);
hand_on!(write as xWrite(from: *const c_void, amount: c_int, at: i64) -> c_int);
hand_on!(truncate as xTruncate(size: i64) -> c_int);
hand_on!(file_size as xFileSize(size: *mut i64) -> c_int);
hand_on!(lock as xLock(level: c_int) -> c_int);
hand_on!(unlock as xUnlock(level: c_int) -> c_int);
hand_on!(check_reserved_lock as xCheckReservedLock(answer: *mut c_int) -> c_int);
hand_on!(file_control as xFileControl(op: c_int, arg: *mut c_void) -> c_int);
hand_on!(sector_size as xSectorSize() -> c_int);
hand_on!(device_characteristics as xDeviceCharacteristics() -> c_int);
hand_on!(shm_map as xShmMap(page: c_int, size: c_int, extend: c_int, at: *mut *mut c_void) -> c_int);
hand_on!(shm_lock as xShmLock(offset: c_int, n: c_int, flags: c_int) -> c_int);
hand_on!(shm_barrier as xShmBarrier() -> ());
hand_on!(shm_unmap as xShmUnmap(delete: c_int) -> c_int);

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // 3 would add memory-mapped files, which the store does not use.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
