// What a Go program does behind the wasm wall: WORD [ARGUMENT...].
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// goroutines: 1000 of them over a channel, with a mutex, and one that is woken later.
func goroutines([]string) {
	var wait sync.WaitGroup
	var lock sync.Mutex
	sum, numbers := 0, make(chan int)
	for range 1000 {
		wait.Go(func() {
			for n := range numbers {
				lock.Lock()
				sum += n
				lock.Unlock()
			}
		})
	}
	for n := range 10000 {
		numbers <- n
	}
	close(numbers)
	wait.Wait()
	select {
	case <-time.After(20 * time.Millisecond):
		fmt.Println("sum", sum)
	case <-time.After(time.Minute):
		fmt.Println("late")
	}
}

func sleep(arguments []string) {
	length, err := time.ParseDuration(arguments[0])
	check(err)
	started := time.Now()
	fmt.Println("sleeping")
	time.Sleep(length)
	fmt.Println("slept", time.Since(started) >= length)
}

// files: what os and filepath do, beneath a directory.
func files(arguments []string) {
	top := arguments[0]
	check(os.MkdirAll(filepath.Join(top, "a/b/c"), 0o755))
	for n := range 300 {
		check(os.WriteFile(filepath.Join(top, "a", fmt.Sprintf("file %03d", n)), []byte(strings.Repeat("x", n)), 0o644))
	}
	entries, err := os.ReadDir(filepath.Join(top, "a"))
	check(err)
	fmt.Println(len(entries), "entries,", entries[0].Name(), "to", entries[len(entries)-1].Name())
	total := int64(0)
	check(filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			info, err := entry.Info()
			check(err)
			total += info.Size()
		}
		return err
	}))
	fmt.Println(total, "bytes")
	name := filepath.Join(top, "a/b/c/moved")
	check(os.Rename(filepath.Join(top, "a/file 299"), name))
	file, err := os.OpenFile(name, os.O_RDWR|os.O_APPEND, 0)
	check(err)
	_, err = file.WriteString("end")
	check(err)
	_, err = file.Seek(-5, io.SeekEnd)
	check(err)
	rest, err := io.ReadAll(file)
	check(err)
	check(file.Truncate(1))
	check(file.Sync())
	check(file.Close())
	info, err := os.Stat(name)
	check(err)
	fmt.Println(string(rest), info.Size(), info.Mode().IsRegular())
	check(os.Symlink("a/b", filepath.Join(top, "link")))
	target, err := os.Readlink(filepath.Join(top, "link"))
	check(err)
	_, err = os.Stat(filepath.Join(top, "link/c/moved"))
	fmt.Println(target, err)
	when := time.Unix(1234567890, 0)
	check(os.Chtimes(name, when, when))
	info, err = os.Stat(name)
	check(err)
	_, err = os.Stat(filepath.Join(top, "none"))
	fmt.Println(info.ModTime().Equal(when), errors.Is(err, fs.ErrNotExist))
	check(os.RemoveAll(filepath.Join(top, "a")))
	check(os.Remove(filepath.Join(top, "link")))
	check(os.WriteFile(filepath.Join(top, "left"), []byte("behind\n"), 0o644))
	list(arguments)
}

// list: a directory that was opened as a file is.
func list(arguments []string) {
	directory, err := os.Open(arguments[0])
	check(err)
	names, err := directory.Readdirnames(0)
	check(err)
	sort.Strings(names)
	fmt.Println(names)
}

func read(arguments []string) {
	data, err := os.ReadFile(arguments[0])
	check(err)
	os.Stdout.Write(data)
	err = os.WriteFile(arguments[0], nil, 0o644)
	fmt.Println(errors.Is(err, fs.ErrPermission) || err != nil && strings.Contains(err.Error(), "Read-only"))
}

// lines: standard input, a line at a time, answered as it comes.
func lines([]string) {
	scanner := bufio.NewScanner(os.Stdin)
	for number := 1; scanner.Scan(); number++ {
		fmt.Println(number, scanner.Text())
	}
	check(scanner.Err())
}

func digest([]string) {
	hash := sha256.New()
	size, err := io.Copy(hash, os.Stdin)
	check(err)
	fmt.Printf("%d %x\n", size, hash.Sum(nil))
}

func about(arguments []string) {
	environment := os.Environ()
	sort.Strings(environment)
	directory, err := os.Getwd()
	check(err)
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{"os": runtime.GOOS, "arch": runtime.GOARCH, "args": arguments,
		"env": environment, "directory": directory, "year": time.Now().Year()}))
}

// memory: collects what it no longer needs, so that much less than all of it is there at once.
func memory([]string) {
	kept := [][]byte{}
	for n := range 4000 {
		block := bytes.Repeat([]byte{byte(n)}, 1<<18)
		if n%100 == 0 {
			kept = append(kept, block)
		}
	}
	fmt.Println(len(kept), "of 1000 MiB")
}

func fail(arguments []string) {
	var nothing *struct{ field int }
	switch arguments[0] {
	case "nil":
		fmt.Println(nothing.field)
	case "index":
		fmt.Println(arguments[len(arguments)])
	case "deadlock":
		<-make(chan int)
	case "stack":
		deeper(1)
	case "memory":
		all := [][]byte{}
		for {
			all = append(all, bytes.Repeat([]byte{1}, 1<<20))
		}
	default:
		panic(arguments[0])
	}
}

func deeper(n int) int {
	return deeper(n+1) + n
}

// deep: recursion as programs have it.
func deep(arguments []string) {
	var depth int
	_, err := fmt.Sscan(arguments[0], &depth)
	check(err)
	fmt.Println(sum(depth))
}

func sum(n int) int {
	if n == 0 {
		return 0
	}
	return n + sum(n-1)
}

func main() {
	words := map[string]func([]string){"goroutines": goroutines, "sleep": sleep, "files": files, "list": list, "read": read, "lines": lines,
		"digest": digest, "deep": deep, "about": about, "memory": memory, "fail": fail}
	words[os.Args[1]](os.Args[2:])
}
