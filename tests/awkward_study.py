from search.study import main

if __name__ == "__main__":
    main(name="digits", dataset="digits", space="awkward_space")
