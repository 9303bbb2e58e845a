//! From reserved to ready, or not.

use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::thread;

use framealloc::{
    SmartAlloc, StreamErrorKind, StreamPriority::*, StreamProgress, StreamState, StreamingAllocator,
};

use super::{access_fails, live_bytes, load, ready};
use crate::common::*;

const KIB: usize = 1024;

#[test]
fn the_tours_example_works_in_its_order() {
    let streaming = StreamingAllocator::new(64 << 20);
    let id = streaming.reserve(1 << 20, Normal).unwrap();
    let mut ptr = streaming.begin_load(id).unwrap();
    ptr.as_mut_slice().fill(7);
    streaming.report_progress(id, 1 << 20);
    streaming.finish_load(id);
    let data = streaming.access(id).unwrap();
    assert!(data.len() == 1 << 20 && data.iter().all(|byte| *byte == 7));
    // The writer is still there, and cannot do anything about it.
    assert!(ptr.write(&[1]).is_err());
    assert_eq!(data[0], 7);
}

#[test]
fn the_tours_pattern_of_loading_elsewhere_works() {
    let alloc = SmartAlloc::with_defaults();
    let streaming = alloc.streaming();
    let id = streaming.reserve(100 * KIB, High).unwrap();
    let mut ptr = streaming.begin_load(id).unwrap();
    let (go, wait) = std::sync::mpsc::channel();
    let loader = thread::spawn({
        let alloc = alloc.clone();
        move || {
            for chunk in 0..100 {
                if chunk == 50 {
                    wait.recv().unwrap();
                }
                ptr.write_all(&[chunk; KIB]).unwrap();
                assert!(alloc.streaming().report_progress(id, ptr.position()) || chunk == 99);
            }
        }
    });
    // Said long before the load is through.
    streaming.finish_load(id);
    assert!(streaming.access(id).is_none());
    go.send(()).unwrap();
    loader.join().unwrap();
    let data = streaming.access(id).expect("it is whole");
    assert!((0..100).all(|chunk| data[chunk * KIB..][..KIB] == [chunk as u8; KIB]));
}

#[test]
fn a_stream_is_reserved_then_loading_then_ready() {
    let streaming = StreamingAllocator::new(1000);
    let id = streaming.reserve(300, Normal).unwrap();
    assert_eq!(streaming.state(id), Some(StreamState::Reserved));
    let mut writer = streaming.begin_load(id).unwrap();
    assert_eq!(streaming.state(id), Some(StreamState::Loading));
    let progress = |loaded| Some(StreamProgress { loaded, total: 300 });
    assert_eq!(streaming.progress(id), progress(0));
    writer.write_all(&[1; 100]).unwrap();
    assert_eq!(streaming.progress(id), progress(100));
    // In all, not more than there is, and never less than before.
    assert!(writer.report_progress(120));
    assert!(streaming.report_progress(id, 110));
    assert_eq!(streaming.progress(id), progress(120));
    assert_eq!(streaming.total_loaded(), 120);
    assert!(streaming.report_progress(id, usize::MAX));
    assert_eq!(streaming.progress(id), progress(300));
    writer.finish().unwrap();
    assert_eq!(streaming.state(id), Some(StreamState::Ready));
    assert_eq!(streaming.progress(id).unwrap().fraction(), 1.0);
    assert_eq!(
        (streaming.total_reserved(), streaming.available()),
        (300, 700)
    );
}

#[test]
fn a_writer_writes_exactly_the_reserved_bytes() {
    let streaming = StreamingAllocator::new(1000);
    let id = streaming.reserve(10, Normal).unwrap();
    let mut writer = streaming.begin_load(id).unwrap();
    assert_eq!(
        (writer.id(), writer.len(), writer.remaining()),
        (id, 10, 10)
    );
    assert_eq!(writer.write(b"0123456789beyond").unwrap(), 10);
    assert_eq!((writer.position(), writer.remaining()), (10, 0));
    assert_eq!(writer.write(b"x").unwrap(), 0);
    assert_eq!(
        writer.write_all(b"x").unwrap_err().kind(),
        ErrorKind::WriteZero
    );
    assert_eq!(writer.seek(SeekFrom::End(-4)).unwrap(), 6);
    for outside in [
        SeekFrom::Start(11),
        SeekFrom::Current(5),
        SeekFrom::End(-11),
        SeekFrom::Start(u64::MAX),
    ] {
        assert_eq!(
            writer.seek(outside).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(writer.position(), 6);
    }
    writer.write_all(b"ab").unwrap();
    writer.finish().unwrap();
    assert_eq!(&*streaming.access(id).unwrap(), b"012345ab89");
}

#[test]
fn bytes_that_were_never_written_are_zero_even_in_reused_memory() {
    let streaming = StreamingAllocator::new(1 << 20);
    for size in [0, 1, 1000, 100 * KIB] {
        for case in 0..5 {
            let used = ready(&streaming, size, Normal, 0xFF);
            assert!(streaming.free(used));
            let id = streaming.reserve(size, Normal).unwrap();
            let mut writer = streaming.begin_load(id).unwrap();
            let mut expected = vec![0; size];
            match case {
                0 => {}
                1 => assert!(writer.as_mut_slice().iter().all(|byte| *byte == 0)),
                2 => {
                    writer.seek(SeekFrom::Start(size as u64 / 2)).unwrap();
                    let byte = &[9][..size.min(1)];
                    writer.write_all(byte).unwrap();
                    expected[size / 2..][..byte.len()].copy_from_slice(byte);
                }
                3 => {
                    let mut chunk = writer.chunk_mut(600).unwrap();
                    assert_eq!(chunk.len(), size.min(600));
                    assert!(chunk.iter().all(|byte| *byte == 0));
                    chunk.fill(5);
                    drop(chunk);
                    writer.advance(600).unwrap();
                    expected[..size.min(600)].fill(5);
                }
                _ => {
                    // Reported, but not written.
                    writer.report_progress(size);
                    streaming.finish_load(id);
                    drop(writer);
                    assert_eq!(*streaming.access(id).unwrap(), expected[..]);
                    assert!(streaming.free(id));
                    continue;
                }
            }
            writer.finish().unwrap();
            assert_eq!(
                *streaming.access(id).unwrap(),
                expected[..],
                "{size} {case}"
            );
            assert!(streaming.free(id));
        }
    }
    assert_eq!(
        (streaming.total_reserved(), streaming.total_loaded()),
        (0, 0)
    );
}

#[test]
fn a_stream_does_not_become_ready_while_its_bytes_are_lent() {
    let streaming = StreamingAllocator::new(1000);
    let id = streaming.reserve(100, Normal).unwrap();
    let mut writer = streaming.begin_load(id).unwrap();
    let mut lent = writer.as_mut_slice();
    streaming.report_progress(id, 100);
    streaming.finish_load(id);
    streaming.finish_load(id);
    assert_eq!(streaming.state(id), Some(StreamState::Loading));
    assert_eq!(access_fails(&streaming, id), StreamErrorKind::WrongState);
    lent.fill(3);
    drop(lent);
    assert_eq!(*streaming.access(id).unwrap(), [3; 100]);
    // From here on the writer is refused, in every way.
    assert_eq!(
        writer.try_as_mut_slice().unwrap_err().state(),
        Some(StreamState::Ready)
    );
    assert_eq!(
        writer.chunk_mut(1).unwrap_err().kind(),
        StreamErrorKind::WrongState
    );
    assert_eq!(
        writer.advance(1).unwrap_err().kind(),
        StreamErrorKind::WrongState
    );
    assert!(!writer.report_progress(100));
    panics(|| writer.as_mut_slice().fill(4));
    assert!(writer.finish().is_ok());
    assert_eq!(*streaming.access(id).unwrap(), [3; 100]);
}

#[test]
fn bytes_whose_loan_was_forgotten_are_taken_back_with_the_writers_next_call() {
    let streaming = StreamingAllocator::new(1000);
    let id = streaming.reserve(100, Normal).unwrap();
    let mut writer = streaming.begin_load(id).unwrap();
    let mut lent = writer.as_mut_slice();
    lent.fill(3);
    std::mem::forget(lent);
    streaming.report_progress(id, 100);
    streaming.finish_load(id);
    assert!(streaming.access(id).is_none());
    assert!(writer.report_progress(100));
    assert_eq!(*streaming.access(id).unwrap(), [3; 100]);

    // Or with its end.
    let id = streaming.reserve(100, Normal).unwrap();
    let mut writer = streaming.begin_load(id).unwrap();
    std::mem::forget(writer.as_mut_slice());
    writer.finish().unwrap();
    assert_eq!(*streaming.access(id).unwrap(), [0; 100]);
    let id = streaming.reserve(100, Normal).unwrap();
    let mut writer = streaming.begin_load(id).unwrap();
    std::mem::forget(writer.as_mut_slice());
    drop(writer);
    assert_eq!(streaming.state(id), None);
}

#[test]
fn a_writer_that_was_overtaken_has_no_part_in_the_streams_that_follow() {
    let streaming = StreamingAllocator::new(1000);
    let old = streaming.reserve(100, Normal).unwrap();
    let mut writer = streaming.begin_load(old).unwrap();
    writer.write_all(&[1; 100]).unwrap();
    streaming.finish_load(old);
    assert!(streaming.free(old));
    // The same place, by now another stream.
    let new = streaming.reserve(50, Normal).unwrap();
    let mut new_writer = streaming.begin_load(new).unwrap();
    assert!(writer.seek(SeekFrom::Start(0)).is_ok());
    assert!(writer.write(&[9; 100]).is_err());
    assert_eq!(
        writer.try_as_mut_slice().unwrap_err().kind(),
        StreamErrorKind::UnknownStream
    );
    assert!(!writer.report_progress(100));
    assert_eq!(streaming.progress(new).unwrap().loaded, 0);
    writer.finish().unwrap();
    assert_eq!(streaming.state(new), Some(StreamState::Loading));
    new_writer.write_all(&[2; 50]).unwrap();
    new_writer.finish().unwrap();
    assert_eq!(*streaming.access(new).unwrap(), [2; 50]);
}

#[test]
fn a_load_that_fails_gives_its_bytes_back() {
    let streaming = StreamingAllocator::new(1000);
    let begin = || {
        let id = streaming.reserve(800, Normal).unwrap();
        let mut writer = streaming.begin_load(id).unwrap();
        writer.write_all(&[1; 400]).unwrap();
        (id, writer)
    };
    let check = |id| {
        assert_eq!(streaming.state(id), None);
        assert_eq!(access_fails(&streaming, id), StreamErrorKind::UnknownStream);
        assert_eq!(
            (streaming.total_reserved(), streaming.total_loaded()),
            (0, 0)
        );
        assert_eq!(streaming.stats().allocation_count, 0);
    };
    let (id, writer) = begin();
    drop(writer);
    check(id);
    let (id, writer) = begin();
    writer.cancel();
    check(id);
    // Also if somebody hoped that it would succeed.
    let (id, writer) = begin();
    streaming.finish_load(id);
    drop(writer);
    check(id);
    let (id, mut writer) = begin();
    panics(move || {
        writer.write_all(&[2; 100]).unwrap();
        panic!("the file is corrupt");
    });
    check(id);
    let (id, mut writer) = begin();
    writer.report_progress(800);
    streaming.finish_load(id);
    drop(writer);
    // That was the whole of it, as far as anybody said.
    assert_eq!(streaming.state(id), Some(StreamState::Ready));
}

#[test]
fn a_writer_that_has_written_everything_leaves_the_stream_to_finish_load() {
    let streaming = StreamingAllocator::new(1000);
    let begin = |size: usize| {
        let id = streaming.reserve(size, Normal).unwrap();
        let mut writer = streaming.begin_load(id).unwrap();
        writer.write_all(&vec![3; size]).unwrap();
        (id, writer)
    };
    for size in [800, 0] {
        let (id, writer) = begin(size);
        drop(writer);
        assert_eq!(streaming.state(id), Some(StreamState::Loading));
        assert!(streaming.access(id).is_none());
        streaming.finish_load(id);
        assert!(streaming.access(id).unwrap().iter().all(|byte| *byte == 3));
        assert!(streaming.free(id));
    }
    // It is freed like any other meanwhile, at once.
    type Free = fn(&StreamingAllocator, framealloc::StreamId);
    let ways: [Free; 2] = [
        |streaming, id| assert!(streaming.free(id)),
        |streaming, id| streaming.cancel(id).unwrap(),
    ];
    for free in ways {
        let (id, writer) = begin(800);
        drop(writer);
        free(&streaming, id);
        assert_eq!(streaming.stats().allocation_count, 0);
        assert_eq!(
            (streaming.total_reserved(), streaming.total_loaded()),
            (0, 0)
        );
    }
    // A panic is a failure, whatever was written.
    let (id, writer) = begin(800);
    panics(move || {
        let _writer = writer;
        panic!("the checksum is wrong");
    });
    assert_eq!(streaming.state(id), None);
    assert_eq!(streaming.total_reserved(), 0);
    // So is a cancelled load.
    let (id, writer) = begin(800);
    writer.cancel();
    assert_eq!(streaming.state(id), None);
    // What nobody finishes goes with the allocator.
    let (_, writer) = begin(800);
    drop(writer);
}

#[test]
fn a_stream_freed_while_it_loads_keeps_its_memory_until_the_writer_drops() {
    let streaming = StreamingAllocator::new(1000);
    type Free = fn(&StreamingAllocator, framealloc::StreamId);
    let ways: [Free; 2] = [
        |streaming, id| assert!(streaming.free(id)),
        |streaming, id| streaming.cancel(id).unwrap(),
    ];
    for free in ways {
        let id = streaming.reserve(700, Normal).unwrap();
        let mut writer = streaming.begin_load(id).unwrap();
        let mut lent = writer.as_mut_slice();
        free(&streaming, id);
        assert_eq!(streaming.state(id), None);
        assert!(!streaming.free(id));
        assert!(!streaming.report_progress(id, 700));
        assert_eq!(
            (
                streaming.total_reserved(),
                streaming.stats().allocation_count
            ),
            (700, 0)
        );
        lent.fill(4);
        assert_eq!(*lent, [4; 700]);
        drop(lent);
        // In vain, but sound. What tells is refused.
        writer.as_mut_slice().fill(5);
        assert!(writer.write(&[1]).is_err());
        assert_eq!(
            writer.advance(1).unwrap_err().kind(),
            StreamErrorKind::UnknownStream
        );
        assert_eq!(
            writer.finish().unwrap_err().kind(),
            StreamErrorKind::UnknownStream
        );
        assert_eq!(
            (streaming.total_reserved(), streaming.total_loaded()),
            (0, 0)
        );
    }
}

#[test]
fn only_what_is_not_ready_is_cancelled() {
    let streaming = StreamingAllocator::new(1000);
    let id = streaming.reserve(10, Normal).unwrap();
    streaming.cancel(id).unwrap();
    assert_eq!((streaming.state(id), streaming.total_reserved()), (None, 0));
    let id = ready(&streaming, 10, Normal, 1);
    let error = streaming.cancel(id).unwrap_err();
    assert_eq!(
        (error.kind(), error.state()),
        (StreamErrorKind::WrongState, Some(StreamState::Ready))
    );
    assert_eq!(*streaming.access(id).unwrap(), [1; 10]);
}

#[test]
fn a_writer_may_outlive_the_allocator_which_frees_everything_else() {
    let alloc = SmartAlloc::with_defaults();
    let (loading, tag) = ("streaming_outlived::loading", "streaming_outlived");
    let id = alloc
        .streaming()
        .reserve_tagged(1000, Normal, Some(loading))
        .unwrap();
    let mut writer = alloc.streaming().begin_load(id).unwrap();
    let other = alloc
        .streaming()
        .reserve_tagged(500, Normal, Some(tag))
        .unwrap();
    load(alloc.streaming(), other, 1);
    assert_eq!((live_bytes(loading), live_bytes(tag)), (1000, 500));
    drop(alloc);
    assert_eq!((live_bytes(loading), live_bytes(tag)), (1000, 0));
    writer.as_mut_slice().fill(1);
    assert!(writer.write(&[1]).is_err());
    assert!(writer.finish().is_err());
    assert_eq!(live_bytes(loading), 0);
}

#[test]
fn a_forgotten_writer_leaks_its_stream_and_nothing_else() {
    let streaming = StreamingAllocator::new(1000);
    let id = streaming.reserve(400, Normal).unwrap();
    let writer = streaming.begin_load(id).unwrap();
    let forgotten = std::mem::ManuallyDrop::new(writer);
    assert!(streaming.free(id));
    assert_eq!(streaming.total_reserved(), 400);
    let beside = ready(&streaming, 600, Normal, 1);
    assert_eq!(*streaming.access(beside).unwrap(), [1; 600]);
    // Found after all.
    drop(std::mem::ManuallyDrop::into_inner(forgotten));
    assert_eq!(streaming.total_reserved(), 600);
}

#[test]
fn a_reader_loads_a_stream_with_io_copy() {
    let streaming = StreamingAllocator::new(1 << 20);
    let file: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    let id = streaming.reserve(file.len(), Normal).unwrap();
    let mut writer = streaming.begin_load(id).unwrap();
    std::io::copy(&mut &file[..], &mut writer).unwrap();
    writer.flush().unwrap();
    writer.finish().unwrap();
    assert!(*streaming.access(id).unwrap() == file[..]);
}
