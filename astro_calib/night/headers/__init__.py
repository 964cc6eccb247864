"""What headers and names of files tell, read without trusting them."""
