module cloister.test/wasm

go 1.26.6
