package main

// ttyName is the console's input.
const ttyName = "CONIN$"
